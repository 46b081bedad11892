"""What a component is: named, registered, found, and identified by what it was made from."""
