"""Wrong answers to the exercises of chapter 5, and words of the message they get."""


def advice(run_1="A", run_2="B", run_3="C", kept=10):
    """A cell with answers to exercise 5.1."""
    letters = {"run 1": run_1, "run 2": run_2, "run 3": run_3}
    return f"advice = {letters!r}\nkept_epoch = {kept}\n"


def steps(sign_changes="C", odd_batch="B"):
    """A cell with answers to exercise 5.2."""
    return f"sign_changes = {sign_changes!r}\nodd_batch = {odd_batch!r}\n"


# Exercise 5.3
COUNTED_FROM_0 = """
def kept_and_last(val_maps, patience):
    best = 0
    for epoch, value in enumerate(val_maps):
        if value >= val_maps[best]:
            best = epoch
        if epoch - best >= patience:
            return best, epoch
    return best, len(val_maps) - 1
"""
TOO_LATE = """
def kept_and_last(val_maps, patience):
    best = 1
    for epoch, value in enumerate(val_maps, start=1):
        if value >= val_maps[best - 1]:
            best = epoch
        if epoch - best > patience:
            return best, epoch
    return best, len(val_maps)
"""
TOO_EARLY = """
def kept_and_last(val_maps, patience):
    best = 1
    for epoch, value in enumerate(val_maps, start=1):
        if value >= val_maps[best - 1]:
            best = epoch
        if epoch - best + 1 >= patience:
            return best, epoch
    return best, len(val_maps)
"""
EPOCH_BEFORE = """
def kept_and_last(val_maps, patience):
    best, waited = 1, 0
    for epoch in range(2, len(val_maps) + 1):
        waited = 0 if val_maps[epoch - 1] >= val_maps[epoch - 2] else waited + 1
        if val_maps[epoch - 1] >= val_maps[best - 1]:
            best = epoch
        if waited >= patience:
            return best, epoch
    return best, len(val_maps)
"""
BEST_OF_ALL = """
def kept_and_last(val_maps, patience):
    best = 1
    for epoch, value in enumerate(val_maps, start=1):
        if value >= val_maps[best - 1]:
            best = epoch
        if epoch - best >= patience:
            break
    return int(np.argmax(val_maps)) + 1, epoch
"""
BEST_OF_WHOLE_LIST = """
def kept_and_last(val_maps, patience):
    best = len(val_maps) - int(np.argmax(val_maps[::-1]))
    return best, min(best + patience, len(val_maps))
"""
NO_TIES = """
def kept_and_last(val_maps, patience):
    best_epoch, best_map = 0, -1
    for epoch, value in enumerate(val_maps, start=1):
        if value > best_map:
            best_epoch, best_map = epoch, value
        if epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(val_maps)
"""
WRONG_ORDER = """
def kept_and_last(val_maps, patience):
    best = 1
    for epoch, value in enumerate(val_maps, start=1):
        if value >= val_maps[best - 1]:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(val_maps), best
"""


def frozen(body, count="int(sum(sizes))"):
    """A cell with a wrong `freeze_all_but_head`."""
    return f"""
def freeze_all_but_head(network):
    {body}
    sizes = [np.prod(variable.shape) for variable in network.trainable_variables]
    return {count}
"""


FREEZE = "for layer in network.layers: layer.trainable = layer.name == 'conv_23'"
HEAD_FROZEN = "network.get_layer('conv_23').trainable = False"
NOTHING_FROZEN = "network.get_layer('conv_23').trainable = True"
WHOLE_NETWORK = """network.trainable = False
    network.get_layer('conv_23').trainable = True"""
LAST_LAYER = "for layer in network.layers[:-1]: layer.trainable = False"
CONVOLUTIONS_ONLY = """for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.trainable = layer.name == 'conv_23'"""
LOSSES = """
losses = {"everything": 0.83, "head alone, 40": 1.68, "head alone, 200": 1.64}
"""


def explained(letter):
    """A cell with a choice in exercise 5.4."""
    return frozen(FREEZE) + LOSSES + f"explanation = {letter!r}\n"


WRONG_ANSWERS = {
    "5.1": [
        (advice(run_1="C"), "compare the trends and not the heights"),
        (advice(run_1="B"), "compare the trends and not the heights"),
        (advice(run_2="A"), "only improves on images that it knows"),
        (advice(run_3="A"), "no loss falls"),
        (advice(kept=16), "lowest training loss"),
        (advice(kept=7), "lowest validation loss"),
        (advice(kept=None), "still empty"),
        (advice(run_2=None), "still empty"),
    ],
    "5.2": [
        (steps(sign_changes="A"), "always points the same way"),
        (steps(sign_changes="B"), "without momentum"),
        (steps(sign_changes="D"), "added in full"),
        (steps(odd_batch="A"), "left the clipping out"),
        (steps(odd_batch="C"), "only what is longer than 20"),
        (steps(odd_batch=None), "still empty"),
    ],
    "5.3": [
        (COUNTED_FROM_0, "count epochs from 0"),
        (TOO_LATE, "goes on for too long"),
        (TOO_EARLY, "one epoch too early"),
        (EPOCH_BEFORE, "neither with the epoch before"),
        (BEST_OF_WHOLE_LIST, "which nobody knows yet"),
        (BEST_OF_ALL, "a later best is never seen"),
        (NO_TIES, "a tie counts"),
        (WRONG_ORDER, "turned round"),
        (
            "def kept_and_last(val_maps, patience):\n    return max(val_maps), 4\n",
            "the number of its epoch",
        ),
        ("def kept_and_last(val_maps, patience):\n    return 2\n", "two numbers"),
    ],
    "5.4": [
        (frozen(HEAD_FROZEN), "the head itself is frozen"),
        (frozen(NOTHING_FROZEN), "no layer is frozen"),
        (frozen(WHOLE_NETWORK), "network.trainable is off"),
        (frozen(LAST_LAYER), "the last layer for the head"),
        (frozen(CONVOLUTIONS_ONLY), "batch normalization is not"),
        (frozen(FREEZE, "len(sizes)"), "single numbers and not arrays"),
        (frozen(FREEZE, "int(sizes[0])"), "the head has a bias too"),
        (frozen(FREEZE) + "losses = None\n", "losses is still empty"),
        (frozen(FREEZE) + LOSSES, "explanation is still empty"),
        (explained("A"), "200 steps instead of 40"),
        (explained("C"), "far more than the numbers"),
        (explained("D"), "reaches the head first"),
    ],
}
