# Completion of espalier for bash. `make install` puts it where bash-completion finds it; or source it.
# The program itself says what may come next.
_espalier() {
    local line=${COMP_LINE:0:COMP_POINT} words word typed candidates
    read -ra words <<< "$line"
    # bash splits words at "=" and ":"; the program is given whole ones.
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    typed=${COMP_WORDS[COMP_CWORD]}
    [[ $typed == "=" || $typed == ":" ]] && typed=
    mapfile -t candidates < <("${COMP_WORDS[0]}" help --candidates "${words[@]:1}" 2> /dev/null | cut -f 1)
    COMPREPLY=("${candidates[@]#"${word%"$typed"}"}")
    # After "KEY=" a value follows.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _espalier espalier
