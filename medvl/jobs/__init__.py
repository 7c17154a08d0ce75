"""What the command line does: one scan, one scan by words, many scans."""
