def check(builder, built, pragma, problems): pass
