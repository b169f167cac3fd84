"""What people look at: scores of labelled text, plots, and the HTML report of a run. No torch, no ray."""
