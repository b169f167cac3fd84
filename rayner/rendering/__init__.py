"""What the report and the site share: templates, texts in two languages, tagged text as HTML."""
