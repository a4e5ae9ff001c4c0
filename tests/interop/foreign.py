"""Small random models as others save them."""

import shutil

import torch


def jitter(model):
    """Fresh biases are 0 and fresh norms 1, which would hide a missing term: every parameter moves a little."""
    made = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=made) * 0.05)
    return model


def kept_as(model, folder, how):
    """Saves `model`; gives the model whose outputs the folder must have, in f32 with the weights as they were rounded."""
    shutil.rmtree(folder, ignore_errors=True)
    kinds = {"f16": torch.float16, "bf16": torch.bfloat16}
    if how in kinds:
        model = model.to(kinds[how])
    model.save_pretrained(folder, **({"max_shard_size": "20KB"} if how == "sharded" else {}))
    shards = len(list(folder.glob("*.safetensors")))
    assert (shards > 1) == (how == "sharded"), f"{shards} files of weights"
    # Read back rather than converted: conversion also rounds what is computed, such as the angles of rotary positions.
    return type(model).from_pretrained(folder, dtype=torch.float32).eval()


def random_ids(vocabulary, lengths):
    """One sequence a length; ids below 5 are special ones."""
    made = torch.Generator().manual_seed(9)
    return [torch.randint(5, vocabulary, (length,), generator=made).tolist() for length in lengths]
