"""The local page: dead letters to look into, mend and retry in a browser, and what the last runs did."""
