# Sourced by setup.sh. Kafka's jars, with Maven's own settings; a wrong checksum fails the fetch (-C).

ensure_kafka() {
    local target=$cache/kafka-$kafka_version partial=$cache/kafka-$kafka_version.partial
    if [ ! -d "$target" ]; then
        say "downloading Kafka $kafka_version (about 55 MB) with Maven"
        mkdir -p "$partial"
        cp "$here/kafka-pom.xml" "$partial/pom.xml"
        mvn -q -B -C -Dstyle.color=never -f "$partial/pom.xml" dependency:copy-dependencies -DoutputDirectory="$partial/libs"
        java -cp "$partial/libs/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
            org.apache.kafka.tools.TopicCommand --version >/dev/null || die "the fetched Kafka does not run"
        mv "$partial" "$target"
    fi
    say "Kafka $kafka_version"
}
