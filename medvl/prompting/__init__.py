"""Clicks, boxes and [SEG] -> 3-D masks."""
