"""The Arrow libraries, which come out of the pyarrow package and have to be those of the build."""

import pyarrow

VERSION = "26.0.1"  # what requirements-build.txt pins and the native module was linked with


if pyarrow.__version__ != VERSION:
    # Arrow keeps no ABI between releases: the native module would not load, or load and crash.
    raise ImportError(
        f"fletching was built with pyarrow {VERSION}, but pyarrow {pyarrow.__version__} is "
        f"installed; fix: pip install pyarrow=={VERSION}, or a fletching made for "
        f"pyarrow {pyarrow.__version__}"
    )
