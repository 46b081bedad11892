"""The records of results.jsonl and ablation.json, and the folder that holds them. Does not import PyTorch."""
