"""Where trials fail, learned or not."""
