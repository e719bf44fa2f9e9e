"""Solutions of `05_training_stages`."""

from statistics import mean


def my_loss(log_p, labels):
    """Mean surprise at the places that count."""
    surprise = [-row[label] for row, label in zip(log_p, labels, strict=True) if label != -100]
    return sum(surprise) / len(surprise)


def my_transfer(learned_before, learned_after, new_before, new_after):
    """How much of a gain holds for new speech, and the gap that is left."""
    gain_learned = mean(map(float, learned_after)) - mean(map(float, learned_before))
    gain_new = mean(map(float, new_after)) - mean(map(float, new_before))
    return gain_new / gain_learned, mean(map(float, learned_after)) - mean(map(float, new_after))


def my_costs(rows):
    """Full minus ablation, and whether that is more than seeds differ."""
    values = {}
    for row in rows:
        values.setdefault(row["ablation"], []).append(row["value"])
    full = values.pop("full")
    spread = max(full) - min(full)
    costs = {name: mean(full) - mean(found) for name, found in values.items()}
    return {name: (cost, cost > spread) for name, cost in costs.items()}


ANSWERS = {"05.1": my_loss, "05.2": my_transfer, "05.3": my_costs}
