"""What acquisitions cost, and what they find under noise."""
