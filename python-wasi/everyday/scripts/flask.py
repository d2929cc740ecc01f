from flask import Flask, jsonify, render_template_string, request

app = Flask(__name__)


@app.post("/greet/<name>")
def greet(name):
    return jsonify(name=name, json=request.get_json(), page=render_template_string("<b>{{ x }}</b>", x="<"))


def handler(event, context):
    client = app.test_client()
    answer = client.post("/greet/анна", json={"a": 1})
    return [answer.status_code, answer.json, client.get("/none").status_code]
