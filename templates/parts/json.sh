# ---- JSON -------------------------------------------------------------------

# What came back may be a stranger's: bytes that a terminal would obey, or that
# JSON and XML may not hold, become blanks. Line ends stay.
plain_text() { # plain_text TEXT
  printf '%s' "${1//[^[:print:]$'\n']/ }"
}

json_string() { # json_string TEXT
  local text
  text=$(plain_text "$1")
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}
