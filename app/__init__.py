"""Everything a browser sees. Imports ``medvl``; ``medvl`` never imports this."""
