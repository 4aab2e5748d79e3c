def check_docs(new, raw, pragma, problems, warnings): pass
