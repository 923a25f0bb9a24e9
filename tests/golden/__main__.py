from tests.golden import PAGES, write

for name in PAGES:
    write(name)
