complete --keep-order --exclusive --command cx --arguments "(CX_COMPLETE=fish cx -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
