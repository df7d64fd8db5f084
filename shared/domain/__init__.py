"""What an emergency is and what follows from an event: pure functions, time as an argument."""
