#!/usr/bin/env bash
# Installs the real clients and the third-party upstreams of tests/e2e/test_clients.py and test_agents.py into
# ~/.cache/routerd-tests. Versions are fixed: a new one is a change to the tests. Run again it does nothing. Needs python3
# with venv, and npm.
set -euo pipefail
cd "$(mkdir -p "$HOME/.cache/routerd-tests" && cd "$HOME/.cache/routerd-tests" && pwd)"

from_pypi() { # from_pypi FOLDER REQUIREMENT
  [ "$(cat "$1/installed" 2>/dev/null)" = "$2" ] && return
  echo "installing $2"
  rm -rf "$1"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --disable-pip-version-check -qq "$2"
  echo "$2" > "$1/installed"
}

from_npm() { # from_npm FOLDER PACKAGE@VERSION ...
  local folder=$1
  shift
  [ "$(cat "$folder/installed" 2>/dev/null)" = "$*" ] && return
  echo "installing $*"
  rm -rf "$folder"
  mkdir "$folder"
  (cd "$folder" && echo '{"private": true}' > package.json && npm install --silent --no-audit --no-fund --ignore-scripts "$@")
  echo "$*" > "$folder/installed"
}

from_npm aimock @copilotkit/aimock@1.43.0
from_pypi llmock llmock==0.2.2
from_pypi llm llm==0.36
from_pypi aider aider-chat==0.86.2
from_npm codex @openai/codex@0.169.0
from_npm claude @anthropic-ai/claude-code@2.1.197
node claude/node_modules/@anthropic-ai/claude-code/install.cjs # puts the platform's program where a placeholder lies
from_npm gemini @google/gemini-cli@0.61.0
from_npm aisdk @openrouter/ai-sdk-provider@2.10.0 ai@6.0.326
from_npm openrouter @openrouter/sdk@1.3.19
from_pypi langchain langchain-openai==1.7.3
from_pypi pydantic 'pydantic-ai-slim[openai,anthropic,google,openrouter]==2.68.0'
