"""THE STATE MACHINE. Pure: commands in, states and results out."""
