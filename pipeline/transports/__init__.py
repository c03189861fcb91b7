"""How a customer is reached, whoever it is: folders of files, HTTP; each gives a Source and a BatchSink."""
