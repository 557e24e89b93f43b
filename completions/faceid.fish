# Completion of faceid for fish.
# Copy to ~/.config/fish/completions/faceid.fish.

function __faceid_ask --argument-names action
    env _FACEID_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$action \
        _TYPER_COMPLETE_ARGS=(commandline --cut-at-cursor --current-process | string collect) faceid 2>/dev/null
end

# Where faceid has words to offer, they replace file names; elsewhere file names are completed.
complete --command faceid --no-files --condition '__faceid_ask is-args' --arguments '(__faceid_ask get-args)'
