#!/usr/bin/env bash
# Spark for the tests: Spark's own Kafka source from Maven, and the other Sparks that ours must run on.
#
#   spark.sh fetch                  copy the jars of spark-sql-kafka and install the other Sparks, what is missing of them
#   spark.sh pytest VERSION ARG...  run pytest on another Spark (4.0.5, the oldest line supported, or 4.3.0, the newest)
#
# SPARK_CACHE (default .cache) keeps spark-jars/ and pyspark-VERSION/; PYTHON (default python) is the interpreter
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
SPARK_CACHE=${SPARK_CACHE:-$here/../../.cache}
PYTHON=${PYTHON:-python}
OTHER_SPARKS=(4.0.5 4.3.0)

fetch_jars() { # only what pyspark has not got: a second slf4j or zstd would shadow Spark's
  [ -f "$SPARK_CACHE/spark-jars/.complete" ] && return 0
  mkdir -p "$SPARK_CACHE/spark-jars"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
    -DincludeArtifactIds=spark-sql-kafka-0-10_2.13,spark-token-provider-kafka-0-10_2.13,kafka-clients,commons-pool2 \
    -DoutputDirectory="$(cd "$SPARK_CACHE" && pwd)/spark-jars"
  touch "$SPARK_CACHE/spark-jars/.complete"
}

fetch_spark() { # VERSION: beside the environment, since there can be one pyspark in it
  [ -d "$SPARK_CACHE/pyspark-$1/pyspark" ] && return 0
  local new=$SPARK_CACHE/pyspark-$1.new
  rm -rf "$new"
  "$PYTHON" -m pip install -q --no-compile --target "$new" "pyspark==$1"
  mv "$new" "$SPARK_CACHE/pyspark-$1"
}

run_pytest() { # VERSION ARG...
  local other=$SPARK_CACHE/pyspark-$1; shift
  [ -d "$other/pyspark" ] || { echo "error: $other is missing, run \`tests/spark/spark.sh fetch\` first" >&2; return 1; }
  other=$(cd "$other" && pwd)
  unset SPARK_HOME
  PYTHONPATH=$other${PYTHONPATH:+:$PYTHONPATH} exec "$PYTHON" -m pytest "$@"
}

case ${1:-} in
  fetch) fetch_jars; for version in "${OTHER_SPARKS[@]}"; do fetch_spark "$version"; done ;;
  pytest) shift; run_pytest "$@" ;;
  *) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit 2 ;;
esac
