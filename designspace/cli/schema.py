"""The command schema: print the format of ablation files, for editors."""

from __future__ import annotations

from designspace.cli.errors import clean_errors, print_json


def schema() -> None:
    """Print the JSON schema of ablation files, which lets editors complete and check the YAML.

    Example: designspace schema > ablation.schema.json, and as the first line of an ablation:
    # yaml-language-server: $schema=ablation.schema.json
    """
    from designspace.spec.schema import schema as make

    with clean_errors():
        print_json(make())
