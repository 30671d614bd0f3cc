#!/bin/dash
# Prints inode, time, size, mode, owner and target of all that is in FOLDERs.
find "$@" -printf '%p %i %T@ %s %m %U %G %l\n' 2>/dev/null
