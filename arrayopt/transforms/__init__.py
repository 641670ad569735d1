"""What rules are combined with: chains, masks, scales, clipping, decay, accumulation."""
