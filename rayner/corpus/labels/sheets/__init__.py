"""Read spreadsheets with labels: the files (`csv_file`, `xlsx_file`), and the rows of both (`rows`)."""
