# Completion of faceid for PowerShell.
# Dot-source it from your profile: . path\to\faceid.ps1

Register-ArgumentCompleter -Native -CommandName faceid -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $Env:_FACEID_COMPLETE = "complete_powershell"
    $Env:_TYPER_COMPLETE_ARGS = $commandAst.ToString()
    $Env:_TYPER_COMPLETE_WORD_TO_COMPLETE = $wordToComplete
    try {
        # Each line of the answer is WORD:::HELP.
        faceid 2>$null | ForEach-Object {
            $word, $help = $_ -split ":::", 2
            if (-not $help) { $help = $word }
            [System.Management.Automation.CompletionResult]::new($word, $word, "ParameterValue", $help)
        }
    }
    finally {
        Remove-Item Env:_FACEID_COMPLETE, Env:_TYPER_COMPLETE_ARGS, Env:_TYPER_COMPLETE_WORD_TO_COMPLETE
    }
}
