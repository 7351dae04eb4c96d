-- The shop's tables and the relay's account, for docker-compose.yml.
CREATE DATABASE shop;
CREATE TABLE shop.orders (
  id    BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
  state VARCHAR(16) NOT NULL
);
CREATE TABLE shop.outbox (
  id            CHAR(36)     NOT NULL PRIMARY KEY,
  aggregatetype VARCHAR(255) NOT NULL,
  aggregateid   VARCHAR(255) NOT NULL,
  type          VARCHAR(255) NOT NULL,
  payload       JSON
);
CREATE USER 'shop'@'%' IDENTIFIED BY 'shop';
GRANT SELECT, INSERT ON shop.* TO 'shop'@'%';
CREATE USER 'outboxd'@'%' IDENTIFIED BY 'outboxd' REQUIRE SSL;
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'outboxd'@'%';
