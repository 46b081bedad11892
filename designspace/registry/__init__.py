"""Components: how they are named, registered, found and identified."""
