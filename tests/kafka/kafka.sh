#!/usr/bin/env bash
# Apache Kafka from its Maven artifacts, to compare with: its tools read our files, and the clients under test can be
# pointed at it to see what the reference does.
#
#   kafka.sh fetch          copy the jars into $KAFKA_HOME (once; needs Maven)
#   kafka.sh run CLASS ...  run one of its tools, e.g. org.apache.kafka.tools.DumpLogSegments
#   kafka.sh start          start one node with its defaults in the background; prints its bootstrap address
#   kafka.sh stop           stop it and remove its data
#
# KAFKA_HOME (default .cache/apache-kafka), KAFKA_DATA (default a folder of the temporary directory), KAFKA_PORT (default 19092)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
KAFKA_HOME=${KAFKA_HOME:-$here/../../.cache/apache-kafka}
KAFKA_DATA=${KAFKA_DATA:-${TMPDIR:-/tmp}/headwater-kafka}
KAFKA_PORT=${KAFKA_PORT:-19092}

log_config() { # FILE: warnings into FILE, nothing on the terminal
  printf '%s\n' 'status=error' 'appender.f.type=File' 'appender.f.name=F' "appender.f.fileName=$1" \
    'appender.f.layout.type=PatternLayout' 'appender.f.layout.pattern=[%d] %p %m (%c)%n' \
    'rootLogger.level=INFO' 'rootLogger.appenderRef.f.ref=F'
}

java_run() { # LOG CLASS ARG...
  local log=$1; shift
  mkdir -p "$KAFKA_DATA"; log_config "$log" > "$log.properties"
  exec java -Xmx512M -Dlog4j2.configurationFile="$log.properties" -cp "$KAFKA_HOME/lib/*" "$@"
}

fetch() {
  [ -f "$KAFKA_HOME/.complete" ] && return 0
  mkdir -p "$KAFKA_HOME"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(cd "$KAFKA_HOME" && pwd)/lib"
  touch "$KAFKA_HOME/.complete"
}

start() {
  local d=$KAFKA_DATA/node; mkdir -p "$d"
  cat > "$d/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((KAFKA_PORT + 1))
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$((KAFKA_PORT + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$d/logs
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
P
  [ -d "$d/logs" ] || (java_run "$d/format.log" kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw -c "$d/server.properties") >/dev/null
  (java_run "$d/server.log" kafka.Kafka "$d/server.properties") > "$d/out.log" 2>&1 &
  echo $! > "$d/pid"
  for _ in $(seq 600); do
    grep -q 'Kafka Server started' "$d/server.log" 2>/dev/null && { echo "127.0.0.1:$KAFKA_PORT"; return 0; }
    sleep .1
  done
  echo "error: Apache Kafka did not start, see $d/out.log" >&2; return 1
}

stop() {
  local pid; pid=$(cat "$KAFKA_DATA/node/pid" 2>/dev/null || true)
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; while kill -0 "$pid" 2>/dev/null; do sleep .1; done; fi
  rm -rf "$KAFKA_DATA"
}

case ${1:-} in
  fetch) fetch ;;
  run) shift; mkdir -p "$KAFKA_DATA"; java_run "$KAFKA_DATA/tools.log" "$@" ;;
  start) fetch; start ;;
  stop) stop ;;
  *) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit 2 ;;
esac
