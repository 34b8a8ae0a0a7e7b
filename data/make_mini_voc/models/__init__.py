"""The 20 classes: `BUILDERS[name](rng, kind=None)` gives a fresh `Model`; a new class
is one more entry.
"""

from models import animals, furniture, people, vehicles_other, vehicles_road

MODULES = (animals, furniture, people, vehicles_other, vehicles_road)
BUILDERS = {
    name: builder
    for module in MODULES
    for name, builder in sorted(module.BUILDERS.items())
}
