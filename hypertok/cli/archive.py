"""`hypertok pack` and `hypertok unpack`."""


def pack() -> None:
    """Pack."""


def unpack() -> None:
    """Unpack."""
