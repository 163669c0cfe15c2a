"""Programs of ours that run inside the containers of a model; they know nothing of `cosmos_ops`."""
