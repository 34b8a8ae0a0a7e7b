"""Plausible wrong answers to the exercises of chapter 3."""

FILE_WITHOUT_HEADER = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    filters, rest = divmod(num_bytes / 4 - 50_547_936, 1025)
    if rest or filters % num_anchors:
        raise ValueError("does not fit")
    return int(filters // num_anchors - 5)
"""

FILE_BYTES_AS_PARAMETERS = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    filters = (num_bytes - header_bytes - 50_547_936) / 1025
    return round(filters / num_anchors - 5)
"""

FILE_WITHOUT_BIAS = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    filters = ((num_bytes - header_bytes) // 4 - 50_547_936) // 1024
    return filters // num_anchors - 5
"""

FILE_WITHOUT_FIVE = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    filters = ((num_bytes - header_bytes) // 4 - 50_547_936) // 1025
    return filters // num_anchors
"""

FILE_DIVIDED_WITH_SLASH = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    filters = ((num_bytes - header_bytes) / 4 - 50_547_936) / 1025
    return filters / num_anchors - 5
"""

FILE_OF_FILTERS = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    return ((num_bytes - header_bytes) // 4 - 50_547_936) // 1025
"""

FILE_NEVER_REFUSED = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    filters = ((num_bytes - header_bytes) // 4 - 50_547_936) // 1025
    return filters // num_anchors - 5
"""

FILE_ANCHORS_NOT_CHECKED = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    numbers = (num_bytes - header_bytes) // 4 - 50_547_936
    if numbers % 1025:
        raise ValueError("cut off")
    return numbers // 1025 // num_anchors - 5
"""

FILE_HEAD_NOT_CHECKED = """
def classes_in_file(num_bytes, header_bytes, num_anchors):
    numbers = (num_bytes - header_bytes) // 4 - 50_547_936
    if numbers % (1025 * num_anchors):
        raise ValueError("does not fit")
    return numbers // 1025 // num_anchors - 5
"""

FIRST_POOL_REMOVED = """
finer_path = list(main_path)
finer_path.remove("pool")
explanation = "B"
"""

OTHER_POOL_REMOVED = """
finer_path = list(main_path)
del finer_path[3]
explanation = "B"
"""

CUT_AT_POOL = """
last = len(main_path) - main_path[::-1].index("pool") - 1
finer_path = list(main_path[:last])
explanation = "B"
"""

LETTER_ONLY = """
finer_path = list(main_path)
explanation = "B"
"""

NO_LETTER = """
last = len(main_path) - main_path[::-1].index("pool") - 1
finer_path = list(main_path)
del finer_path[last]
explanation = None
"""

OTHER_LETTER = NO_LETTER.replace("None", '"{letter}"')

FOLD = """
def fold_norm(kernel, gamma, beta, mean, variance, epsilon=1e-6):
    scale = {scale}
    return {result}
"""
SCALE = "gamma / np.sqrt(variance + epsilon)"
BOTH = "kernel * scale, beta - mean * scale"


def fold(scale=SCALE, result=BOTH):
    return FOLD.format(scale=scale, result=result)


def factors(parameters, predictions, multiplications, field):
    return f"""
prediction = {{
    "parameters": {parameters},
    "predictions": {predictions},
    "multiplications": {multiplications},
    "receptive field": {field},
}}
"""


WRONG_ANSWERS = {
    "3.1": [
        (factors(4, 4, 4, 1), "a kernel keeps its weights"),
        (factors(1, 2, 4, 1), "in width and in height"),
        (factors(1, 4, 2, 1), "at every position"),
        (factors(1, 4, 4, 2), "never asks for the image size"),
        (factors(1, 4, 4, None), "receptive field is still empty"),
    ],
    "3.2": [
        (FILE_WITHOUT_HEADER, "subtract the header first"),
        (FILE_BYTES_AS_PARAMETERS, "4 bytes"),
        (FILE_WITHOUT_BIAS, "a bias: 1,025 numbers"),
        (FILE_WITHOUT_FIVE, "subtract the 5"),
        (FILE_DIVIDED_WITH_SLASH, "divide with //"),
        (FILE_OF_FILTERS, "share them among the 5 anchors"),
        (FILE_NEVER_REFUSED, "a filter is cut off"),
        (FILE_ANCHORS_NOT_CHECKED, "shared equally among 4 anchors"),
        (FILE_HEAD_NOT_CHECKED, "no class is left"),
    ],
    "3.3": [
        (FIRST_POOL_REMOVED, "as list.remove does"),
        (OTHER_POOL_REMOVED, "a pooling further up"),
        (CUT_AT_POOL, "the convolutions must stay"),
        (LETTER_ONLY, "still unchanged"),
        (NO_LETTER, "explanation is still empty"),
        (OTHER_LETTER.format(letter="A"), "adds 16 pixels"),
        (OTHER_LETTER.format(letter="C"), "do not share the photo"),
        (OTHER_LETTER.format(letter="D"), "neither has changed"),
    ],
    "3.4": [
        (fold(scale="gamma / (variance + epsilon)"), "its square root"),
        (fold(scale="gamma / np.sqrt(variance)"), "epsilon is missing"),
        (fold(scale="gamma / (np.sqrt(variance) + epsilon)"), "to the square root"),
        (fold(scale="1 / np.sqrt(variance + epsilon)"), "gamma is missing"),
        (fold(result="kernel * scale, beta"), "the mean is missing"),
        (fold(result="kernel * scale, -mean * scale"), "beta is missing"),
        (fold(result="kernel * scale, beta - mean"), "you subtract the mean as it is"),
        (fold(result="kernel * scale, beta + mean * scale"), "makes the bias smaller"),
        (
            fold(result="kernel * scale, beta - mean / np.sqrt(variance + epsilon)"),
            "multiplies the mean as well",
        ),
        (
            fold(result="kernel * scale[:, None], beta - mean * scale"),
            "the last axis of the kernel",
        ),
        (fold(result="kernel * scale"), "return new_kernel, bias"),
        (fold(result="kernel, beta - mean * scale"), "the kernel is unchanged"),
    ],
}
