"""What a person reads: the score report and the class table for a terminal."""
