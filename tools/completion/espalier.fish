# Completion of espalier for fish. `make install` puts it into vendor_completions.d. The program itself says what may come next.
function __espalier_candidates
    set -l words (commandline -opc) (commandline -ct)
    command $words[1] help --candidates $words[2..-1] 2>/dev/null
end
function __espalier_offers
    test (count (__espalier_candidates)) -gt 0
end
# Files only where the program offers nothing.
complete -c espalier -n __espalier_offers -f -a '(__espalier_candidates)'
