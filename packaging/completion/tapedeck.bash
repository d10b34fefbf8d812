# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Written by tools/make-completion.
#
# bash completion of tapedeck: commands, options, words that options know, files, and of the commands
# that talk to a daemon its rooms and recordings, when it answers within a second.

_tapedeck_commands='record serve status list start stop pause resume recover verify publish config demo --help --version'

_tapedeck_options() # COMMAND
{
    case $1 in
    record) echo '--url --room --token --api-key --api-secret --output --format --participant --track --duration --departure-timeout --empty-timeout --key-frame-interval --force --sidecar --replay --dump --flush-interval --sync-interval --runtime-dir --log-level --json --help' ;;
    serve) echo '--config --listen --data-dir --token --url --api-key --api-secret --format --departure-timeout --empty-timeout --key-frame-interval --flush-interval --sync-interval --runtime-dir --loopback --log-level --help' ;;
    status) echo '--server --api-token --timeout --json --help' ;;
    list) echo '--state --room --limit --all --server --api-token --timeout --json --help' ;;
    start) echo '--format --participant --tier --max-duration --max-size --hold --url --token --idempotency-key --server --api-token --timeout --json --help' ;;
    stop) echo '--no-wait --server --api-token --timeout --json --help' ;;
    pause) echo '--server --api-token --timeout --json --help' ;;
    resume) echo '--server --api-token --timeout --json --help' ;;
    recover) echo '--dry-run --json --runtime-dir --help' ;;
    verify) echo '--json --decode --help' ;;
    publish) echo '--url --room --token --api-key --api-secret --identity --whip --whip-token --video --audio --size --fps --bitrate --key-interval --slices --loop-seconds --pattern-cache --count --duration --log-level --json --help' ;;
    config) echo '--config --help' ;;
    demo) echo '--keep --help' ;;
    esac
}

_tapedeck_argument() # COMMAND OPTION
{
    case $1:$2 in
    record:--force | record:--sidecar | record:--json | record:--help | serve:--loopback | \
        serve:--help | status:--json | status:--help | list:--all | list:-a | list:--json | \
        list:--help | start:--hold | start:--json | start:--help | stop:--no-wait | stop:--json | \
        stop:--help | pause:--json | pause:--help | resume:--json | resume:--help | \
        recover:--dry-run | recover:--json | recover:--help | verify:--json | verify:--decode | \
        verify:--help | publish:--json | publish:--help | config:--help | demo:--keep | demo:--help) echo '' ;;
    record:--output | record:-o | record:--replay | record:--dump | serve:--config | serve:-c | \
        publish:--pattern-cache | config:--config | config:-c) echo 'file' ;;
    record:--runtime-dir | serve:--data-dir | serve:--runtime-dir | recover:--runtime-dir) echo 'folder' ;;
    list:--room | list:-r) echo 'room' ;;
    record:--log-level | serve:--log-level | publish:--log-level) echo 'words error warn info debug' ;;
    publish:--video) echo 'words h264 vp8 none' ;;
    publish:--audio) echo 'words opus none' ;;
    list:--state | list:-s) echo 'words starting waiting recording paused finishing complete failed aborted interrupted' ;;
    record:--format | record:-f | serve:--format | serve:-f | start:--format | start:-f) echo 'words ts mkv auto' ;;
    *:-*) echo 'none' ;;
    esac
}

_tapedeck_positional() # COMMAND
{
    case $1 in
    status) echo 'recording' ;;
    start) echo 'room' ;;
    stop) echo 'running' ;;
    pause) echo 'running' ;;
    resume) echo 'running' ;;
    recover) echo 'file' ;;
    verify) echo 'file' ;;
    config) echo 'words check print' ;;
    esac
}

# Rooms and ids of the daemon that the line names, one a line. Names that JSON has to escape, or that
# cannot be printed, are left out.
_tapedeck_ask() # ARGUMENT of what to ask, KEY...
{
    local command=$1 answer key name
    local -a server=()
    shift
    [[ $COMP_LINE =~ [[:space:]]--server[=[:space:]]+([^[:space:]]+) ]] &&
        server=(--server "${BASH_REMATCH[1]}")
    # A word of the line may be a path with a tilde, which only the shell reads.
    answer=$(timeout 1 "${COMP_WORDS[0]/#\~/$HOME}" "$command" --json "${server[@]}" </dev/null 2>/dev/null)
    for key; do
        while IFS= read -r name; do
            name=${name#"\"$key\":\""}
            name=${name%\"}
            [[ $name == *[![:print:]]* ]] || printf '%s\n' "$name"
        done < <(grep -o "\"$key\":\"[^\"\\\\]*\"" <<<"$answer" | sort -u)
    done
}

# Those of the candidates on stdin that begin like the word, as they are to be typed.
_tapedeck_choose() # WORD
{
    local word=$1 plain name typed
    plain=${word//\\/}
    plain=${plain#[\"\']}
    while IFS= read -r name; do
        [[ $name == "$plain"* ]] || continue
        typed=$name
        if [[ $word != [\"\']* ]]; then
            printf -v typed %q "$name"
            typed=${typed//:/\\:} # bash would begin a new word behind these
            typed=${typed//=/\\=}
        fi
        COMPREPLY+=("$typed")
    done
}

_tapedeck_complete() # KIND WORD
{
    local kind=$1 word=$2
    case $kind in
    words\ *) mapfile -t COMPREPLY < <(compgen -W "${kind#words }" -- "$word") ;;
    file | folder)
        local flag=-f
        [[ $kind == folder ]] && flag=-d
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen "$flag" -- "$word")
        ;;
    room) _tapedeck_choose "$word" < <(_tapedeck_ask list room) ;;
    recording) _tapedeck_choose "$word" < <(_tapedeck_ask list room id) ;;
    running) _tapedeck_choose "$word" < <(_tapedeck_ask status room id) ;;
    esac
}

_tapedeck()
{
    local command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD - 1]} kind
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _tapedeck_complete "words $_tapedeck_commands" "$word"
        return
    fi
    # bash makes three words of --option=value.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    kind=$(_tapedeck_argument "$command" "$before")
    if [[ -n $kind ]]; then
        _tapedeck_complete "$kind" "$word"
    elif [[ $word == -* ]]; then
        _tapedeck_complete "words $(_tapedeck_options "$command")" "$word"
    else
        kind=$(_tapedeck_positional "$command")
        [[ $kind == words\ * ]] && ((COMP_CWORD > 2)) && kind=file
        _tapedeck_complete "$kind" "$word"
    fi
}

complete -F _tapedeck tapedeck
