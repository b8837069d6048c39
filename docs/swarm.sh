#!/bin/sh -e
# A swarm of four on one task, from `docs/mcp.md`: docs/swarm.sh "Add a rate limit to the API"
cx memory store -n swarm task "$1"
cx spawn -t architect -n design "Design this, in at most 20 lines: $1"
cx wait design
cx spawn -t coder -n code --context-from design "Implement this: $1"
cx spawn -t tester -n tests --after code --context-from design "Write tests for this: $1"
cx spawn -t docs -n manual --after code --context-from design "Document this: $1"
cx wait
cx memory list -n results
cx collect --digest
cx merge --dry-run
