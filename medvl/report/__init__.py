"""The report: sections, impression, table, key slices; Markdown, HTML and JSON."""
