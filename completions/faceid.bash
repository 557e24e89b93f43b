# Completion of faceid for bash.
# Copy to ~/.local/share/bash-completion/completions/faceid, or source it from ~/.bashrc.

_faceid() {
    local IFS=$'\n'
    # faceid answers with one word a line; without an answer bash goes on with file names.
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _FACEID_COMPLETE=complete_bash faceid 2>/dev/null))
}

complete -o default -F _faceid faceid
