"""How a recipient's name is joined and split. The trigger's functions in schema/10_expand.sql do the same."""


def join(first_name: str | None, last_name: str | None) -> str | None:
    if first_name is None or last_name is None:
        return None
    return f"{first_name} {last_name}".strip(" ")


def split(recipient_name: str) -> tuple[str, str]:
    """The first word and the rest; `join` gives the same name back."""
    first_name, _, last_name = recipient_name.strip(" ").partition(" ")
    return first_name, last_name
