"""The program without a face: settings, customers, sessions, runs, plans and replays; it prints nothing."""
