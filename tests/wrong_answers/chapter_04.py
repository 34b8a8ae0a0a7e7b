"""Plausible wrong answers to the exercises of chapter 4."""


def effects(a="raise", b="lower", c="leave", d="lower", width="leave"):
    answers = {"A": a, "B": b, "C": c, "D": d, "width of D": width}
    return f"prediction = {answers}"


CONSTANT = """
def best_constant(own_ious, num_background, weight=5):
    return {result}
"""

SMALLEST_LOSS = """
def best_constant(own_ious, num_background, weight=5):
    p = np.linspace(0, 1, 1001)[:, None]
    objectness = weight / 2 * ((own_ious - p) ** 2).sum(axis=1)
    losses = objectness + num_background / 2 * p[:, 0] ** 2
    return losses.{result}()
"""


COARSE_STEPS = """
def best_constant(own_ious, num_background, weight=5):
    p = np.linspace(0, 1, 30)
    objectness = weight / 2 * ((own_ious - p[:, None]) ** 2).sum(axis=1)
    losses = objectness + num_background / 2 * p**2
    return p[losses.argmin()]
"""


def constant(result):
    return CONSTANT.format(result=result)


COUNT = """
def count_ignored(best_iou, responsible, threshold):
    return {result}


explanation = {letter}
"""


def count(result="((best_iou > threshold) & ~responsible).sum()", letter='"B"'):
    return COUNT.format(result=result, letter=letter)


MOVES = """
def objectness_moves_box(loss_function):
    raw = tf.Variable(y_pred[None])
    with tf.GradientTape() as tape:
        terms = loss_function(y_true[None], true_boxes[None], raw, anchors)
        loss = {loss}
    gradient = tape.gradient(loss, raw)
    return {result}
"""


AFTER_THE_TAPE = """
def objectness_moves_box(loss_function):
    raw = tf.Variable(y_pred[None])
    with tf.GradientTape() as tape:
        pass
    terms = loss_function(y_true[None], true_boxes[None], raw, anchors)
    gradient = tape.gradient(terms.objectness, raw)
    return bool(np.any(gradient.numpy()[..., 0:4] != 0))
"""


def moves(
    loss="terms.objectness", result="bool(np.any(gradient.numpy()[..., 0:4] != 0))"
):
    return MOVES.format(loss=loss, result=result)


WRONG_ANSWERS = {
    "4.1": [
        (effects(a="lower"), "how well its box fits"),
        (effects(a="leave"), "how well its box fits"),
        (effects(b="raise"), "not 1 but the IoU"),
        (effects(c="lower"), "ignored prediction"),
        (effects(d="leave"), "which role is left"),
        (effects(width="lower"), "only responsible predictions learn"),
        (effects(a="up"), '"raise", "lower" or "leave"?'),
        (effects(width=None), "width of D is still empty"),
    ],
    "4.2": [
        (COARSE_STEPS, "your steps are too coarse"),
        (constant("np.mean(own_ious)"), "add the background"),
        (
            constant("weight * np.sum(own_ious) / (len(own_ious) + num_background)"),
            "counts 5 times there too",
        ),
        (
            constant("np.sum(own_ious) / (len(own_ious) + num_background)"),
            "leave out the weight",
        ),
        (
            constant(
                "weight / 2 * np.sum(own_ious)"
                " / (weight / 2 * len(own_ious) + num_background)"
            ),
            "a factor of one half",
        ),
        (
            constant(
                "weight * np.mean(own_ious) / (weight * len(own_ious) + num_background)"
            ),
            "do not average them",
        ),
        (
            constant("5 * np.sum(own_ious) / (5 * len(own_ious) + num_background)"),
            "the argument `weight`",
        ),
        (SMALLEST_LOSS.format(result="min"), "the smallest loss"),
        (SMALLEST_LOSS.format(result="argmin"), "not the index"),
    ],
    "4.3": [
        (count("(best_iou > threshold).sum()"), "never ignored; leave them out"),
        (count("((best_iou > threshold) | ~responsible).sum()"), "combine them"),
        (count("(~responsible).sum()"), "compare its IoU"),
        (count("(best_iou > threshold) & ~responsible"), "return a number"),
        (count("((best_iou > 0.6) & ~responsible).sum()"), "the argument `threshold`"),
        (count(letter=None), "explanation is still empty"),
        (count(letter='"A"'), "neither location nor size"),
        (count(letter='"C"'), "never ignored and is trained"),
        (count(letter='"D"'), "fewer predictions are asked"),
    ],
    "4.4": [
        (moves(result="bool(np.any(gradient != 0))"), "0 to 3 only"),
        (moves(result="bool(np.any(gradient.numpy()[..., 0:5] != 0))"), "0 to 3 only"),
        (moves(loss="tf.add_n(terms)"), "differentiate terms.objectness alone"),
        (moves(loss="terms.background"), "misses the mistake"),
        (moves(result="bool(np.any(gradient.numpy()[:4] != 0))"), "gradient[..., 0:4]"),
        (AFTER_THE_TAPE, "inside of the `with` block"),
        (AFTER_THE_TAPE.replace(".numpy()", ""), "inside of the `with` block"),
        (
            moves(result="bool(np.any(gradient.numpy()[..., 0:2] != 0))"),
            "numbers 2 and 3",
        ),
        (moves(result="np.abs(gradient.numpy()[..., 0:4]).max()"), "True or False"),
    ],
}
