"""What plain texts of users are like: their encodings, files that are no text, and markup in them."""
