# Draws the secrets of compose.yaml that are missing, each into the folder of the program that reads it, and owned by the
# user that it runs as. A secret that two programs share is written to both before the first of them starts.
set -euo pipefail
umask 077

# put OWNER FILE: standard input, whole or not at all.
put() {
  cat > "$2.new"
  chown "$1" "$2.new" "$(dirname "$2")"
  chmod 0400 "$2.new"
  chmod 0700 "$(dirname "$2")"
  mv "$2.new" "$2"
}

password() { openssl rand -hex 24; }

chown 1000:1000 /data/s3
cd /secrets
if ! [ -e keyward/database_url ]; then
  secret=$(password)
  printf %s "$secret" | put 999:999 postgres/password
  printf %s "postgres://keyward:$secret@postgres:5432/keyward" | put 65532:65532 keyward/database_url
fi
if ! [ -e keyward/master_key ]; then
  openssl rand -hex 32 | put 65532:65532 keyward/master_key
fi
if ! [ -e keyward/redis_url ]; then
  secret=$(password)
  put 999:999 redis/redis.conf << END
save ""
appendonly no
maxmemory 128mb
maxmemory-policy volatile-ttl
user default off
user keyward on >$secret resetchannels resetkeys ~keyward:limit:* -@all +eval +evalsha +time +get +set
END
  printf %s "redis://keyward:$secret@redis:6379" | put 65532:65532 keyward/redis_url
fi
if ! [ -e keyward/s3_secret ]; then
  secret=$(password)
  put 1000:1000 s3/s3.json << END
{"identities": [{"name": "keyward", "credentials": [{"accessKey": "keyward", "secretKey": "$secret"}],
  "actions": ["Read:keyward-files", "Write:keyward-files", "List:keyward-files"]}]}
END
  printf %s "$secret" | put 65532:65532 keyward/s3_secret
fi
if ! [ -e grafana/password ]; then
  password | tr -d '\n' | put 472:0 grafana/password
fi
if ! [ -e nginx/fullchain.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 -subj "/CN=$TLS_NAME" \
    -addext "subjectAltName=DNS:$TLS_NAME" -keyout /tmp/key.pem -out /tmp/fullchain.pem 2>/dev/null
  put 0:0 nginx/key.pem < /tmp/key.pem
  put 0:0 nginx/fullchain.pem < /tmp/fullchain.pem
fi
